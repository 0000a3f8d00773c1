#!/bin/bash
# r2 ls says byte for byte what `aws s3 ls` says, and with the same status. Part of `make interop`: brings aws-cli (PyPI) once.
. "$(dirname "$0")/lib.sh"
need_server
aws=$(cd "$TESTS/../bench" && python3 -c 'import peers; print(peers.Tool("aws", 60).program)') || { not_ok "aws-cli"; finish; }
export AWS_ACCESS_KEY_ID=$R2_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY=$R2_SECRET_ACCESS_KEY AWS_CA_BUNDLE=$R2_CA_FILE
export AWS_ENDPOINT_URL=$R2_ENDPOINT AWS_DEFAULT_REGION=us-east-1 AWS_EC2_METADATA_DISABLED=true AWS_CONFIG_FILE=/dev/null
server_is moto || AWS_DEFAULT_REGION=auto

# A bucket of its own: others write to the common one while it is listed twice.
R2_BUCKET=aws-ls-$$
s3 PUT '' -H 'Content-Length: 0' --aws-sigv4 "aws:amz:$AWS_DEFAULT_REGION:s3" -f -o /dev/null || { not_ok 'a bucket of its own'; finish; }

cd "$T" || exit 1
: >empty
printf x >one
for size in 1023 1024 1075 1076 1280 1792 1048063 1048064 2569011; do random_file "$size" "$size"; s3_put "$P/sizes/$size" "$size"; done
s3_put "$P/sizes/1" one
names=('a.txt' 'a/b' 'a/c/d' 'with space/x y' ' leading' 'plus+plus' '100%' '%41' 'a&b<c>d"e' 'naïve-日本語-😀/é' 'semi;colon?#')
for name in "${names[@]}"; do s3_put "$P/names/$name" one; done
s3_put "$P/marker/" empty
s3_put "$P/marker/in" one
s3_put "$P/only/" empty
# No directory of a disk holds such a name, and moto has no route to it.
server_is versitygw moto || s3_put "$P/names/two//slashes" one
s3_fill "$P/many/k[0001-2100]" one
s3_fill "$P/folders/d[0001-1005]/x" one

same() { # OPTION… PATH: both say the same; -q is nobody's option here
	"$aws" s3 ls "$@" >want 2>want.err
	echo "status $?" >>want
	r2 ls "$@" >got 2>got.err
	echo "status $?" >>got
	cmp -s want got && pass "ls $*" && return
	not_ok "ls $*"
	diff want got | head -20 | indent ''
	cat want.err got.err | indent ''
}

for path in '' / "/$P" "/$P/" "/$P/sizes/" "/$P/sizes/10" "/$P/names/" "/$P/names/a" "/$P/names/a/" "/$P/names/with space/" "/$P/names/100%" \
	"/$P/names/two/" "/$P/names/naï" "/$P/marker" "/$P/marker/" "/$P/only" "/$P/only/" "/$P/none" "/$P/none/"; do
	same "s3://$R2_BUCKET$path"
done
for path in "/$P/sizes/" "/$P/names/" "/$P/names/a" "/$P/marker/" "/$P/only" "/$P/none"; do
	same --recursive "s3://$R2_BUCKET$path"
	same --summarize --human-readable "s3://$R2_BUCKET$path"
	same --summarize --human-readable --recursive "s3://$R2_BUCKET$path"
done
same --recursive --summarize "s3://$R2_BUCKET/$P/many/"
same --summarize "s3://$R2_BUCKET/$P/folders/"
export TZ
for TZ in America/New_York Asia/Kathmandu Pacific/Kiritimati Europe/London; do same "s3://$R2_BUCKET/$P/sizes/"; done
finish
