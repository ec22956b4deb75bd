#!/bin/sh
# Generates the oneDNN bindings from its C headers. Needs jextract (built for JDK 22 or later) on PATH.
#
#   bindings/generate.sh [folder that holds oneapi/dnnl/dnnl.h]
#
# Without an argument the headers come from the org.bytedeco:dnnl jar in the local Maven repository, so that
# header and library are of one version. The output is committed and never edited; the same input gives the
# same bytes. What is bound stands in headers/onednn.includes, one name a line.
set -eu
cd "$(dirname "$0")"
package=io.panatron.bindings.onednn.generated
target=src/main/java/$(echo "$package" | tr . /)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

command -v jextract >/dev/null || {
  echo "generate.sh: jextract is not on PATH; build it from OpenJDK sources" >&2
  exit 1
}
if [ $# -ge 1 ]; then
  include=$1
else
  version=$(sed -n 's:.*<dnnl.version>\(.*\)</dnnl.version>.*:\1:p' ../pom.xml)
  jar=${MAVEN_REPOSITORY:-$HOME/.m2/repository}/org/bytedeco/dnnl/$version/dnnl-$version-linux-x86_64.jar
  [ -f "$jar" ] || {
    echo "generate.sh: $jar is missing; run 'mvn -pl bindings dependency:resolve' or pass the header folder" >&2
    exit 1
  }
  (cd "$work" && unzip -q "$jar" 'org/bytedeco/dnnl/linux-x86_64/include/*')
  include=$work/org/bytedeco/dnnl/linux-x86_64/include
fi

sed '/^#/d' headers/onednn.includes >"$work/args"
jextract --include-dir "$include" --output "$work/out" --target-package "$package" \
  --header-class-name OneDnnC "@$work/args" headers/onednn.h 2>"$work/log" || {
  cat "$work/log" >&2
  exit 1
}
# jextract says "Skipping ..." for opaque structures, which are pointers to us; anything else is shown.
grep -v 'Skipping .*is not supported' "$work/log" >&2 || true

# Every name asked for must have been found.
sed -n 's/^--include-[a-z]* //p' "$work/args" | while read -r name; do
  grep -rqw "$name" "$work/out" || { echo "generate.sh: $name is not in the headers" >&2; exit 1; }
done

rm -rf "$target"
mkdir -p "$target"
for file in "$work/out/$(echo "$package" | tr . /)"/*.java; do
  # Javadoc goes (it repeats the vendor's declarations), and so do trailing blanks and runs of blank lines.
  sed -e '/^ *\/\*\*/,/\*\//d' -e 's/[ \t]*$//' "$file" | cat -s >"$target/$(basename "$file")"
done
