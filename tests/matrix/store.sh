#!/bin/sh
# A delivering program: keeps the value under its key, whole or not at all.
cd "$(dirname "$0")/held" || exit 1
umask 077
value=$(cat) && [ -n "$value" ] || exit 1
printf %s "$value" > ".$TOKENFORM_DELIVER_KEY.part" && mv ".$TOKENFORM_DELIVER_KEY.part" "$TOKENFORM_DELIVER_KEY.value"
[ -z "$TOKENFORM_DELIVER_ID_KEY" ] || printf %s "$TOKENFORM_DELIVER_ID" > "$TOKENFORM_DELIVER_ID_KEY.value"
