#!/bin/sh
# The page's scripts parse, and hold nothing that the content security policy forbids.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
web="$here/../../Sources/Control/Signalling/Web"
if command -v node >/dev/null; then
    for file in "$web/sluice.js" "$web/app.js" "$here/whip.js" "$here/rooms.js"; do
        # As a module from standard input: a .js file without a package.json counts as CommonJS.
        node --input-type=module --check <"$file" || { echo "lint: $file does not parse" >&2; exit 1; }
    done
else
    echo "lint: node is not installed; the scripts' syntax was not checked" >&2
fi
if grep -nE '<script[^>]*>[^<]|<style|[[:space:]](style|on[a-z]+)="|https?://' "$web/index.html" | grep -v www.w3.org; then
    echo "lint: index.html has something inline or from elsewhere" >&2
    exit 1
fi
