#!/usr/bin/env python3
"""What r2 replaces, as a peer: Python and boto3, each file by upload_file, a large one in parts one after the other."""
import os
import sys

import boto3
from botocore.config import Config

THRESHOLD = 100 << 20
PART = 50 << 20


def put_parts(client, bucket, key, path):
    upload = client.create_multipart_upload(Bucket=bucket, Key=key)["UploadId"]
    where = {"Bucket": bucket, "Key": key, "UploadId": upload}
    parts = []
    with open(path, "rb") as f:
        while data := f.read(PART):
            reply = client.upload_part(PartNumber=len(parts) + 1, Body=data, **where)
            parts.append({"PartNumber": len(parts) + 1, "ETag": reply["ETag"]})
    client.complete_multipart_upload(MultipartUpload={"Parts": parts}, **where)


def main(verb, *args):
    if verb == "version":
        print(boto3.__version__)
        return
    client = boto3.client("s3", endpoint_url=os.environ["R2_ENDPOINT"], region_name="auto", config=Config(
        signature_version="s3v4", retries={"max_attempts": 3, "mode": "adaptive"}))
    bucket = os.environ["R2_BUCKET"]
    if verb == "put":
        path, key = args
        if os.path.getsize(path) > THRESHOLD:
            put_parts(client, bucket, key, path)
        else:
            client.upload_file(path, bucket, key)
    elif verb == "tree":
        directory, prefix = args
        for name in sorted(os.listdir(directory)):
            client.upload_file(os.path.join(directory, name), bucket, f"{prefix}/{name}")


main(*sys.argv[1:])
