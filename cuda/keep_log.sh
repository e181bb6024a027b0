# Runs a compiler; what it says goes into OBJECT.log too.
for word; do
  [ "$last" = -o ] && object=$word
  last=$word
done
"$@" >"$object.log" 2>&1
status=$?
cat "$object.log" >&2
exit $status
