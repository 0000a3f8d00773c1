#pragma once
/* What the daemon says of itself: --status, --health, --metrics, and to systemd. */
#include "sync_ask.h"
#include "sync_daemon.h"

void report_make(struct daemon *d, struct ask_report *r);
/* Rewrite the Prometheus text file, atomically. -1 (ERR_LOCAL). */
int report_metrics(const struct daemon *d, const char *path, struct err *e);

/* Tell systemd (sd_notify(3)): "READY=1", "STATUS=…". Does nothing without NOTIFY_SOCKET. */
void notify_open(void);
void notify_send(const char *text);
/* Milliseconds between two "WATCHDOG=1", or -1. */
int notify_watchdog_ms(void);
