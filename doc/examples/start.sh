#!/bin/bash
# Start R2 sync daemon if enabled
if [ "${ENABLE_R2_SYNC:-false}" = "true" ]; then
    echo "[R2] Starting R2 sync daemon..."
    mkdir -p /var/log
    nohup r2-sync > /var/log/r2_sync_daemon.log 2>&1 &
    echo "[R2] R2 sync daemon started"
fi
