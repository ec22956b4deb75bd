#!/usr/bin/env bash
# Proves that a command uses oneDNN and OpenMP from trainer.jar and no OpenCL, OpenMP or BLAS of
# the system:   .ci/no-system-libraries.sh ./trainer quickstart --output_dir ...
# The dynamic linker finds broken files under those libraries' names before the system's, and
# reports every library that it starts.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/decoys" "$work/cache" "$work/loaded"
for name in libgomp.so.1 libomp.so.5 libiomp5.so libOpenCL.so.1 libblas.so.3 libcblas.so.3 \
  liblapack.so.3 libopenblas.so.0 libmkl_rt.so.2 libdnnl.so.3; do
  echo 'not a library' >"$work/decoys/$name"
done

PANATRON_CACHE=$work/cache LD_LIBRARY_PATH=$work/decoys LD_DEBUG=libs LD_DEBUG_OUTPUT=$work/loaded/by \
  "$@"

loaded=$(sed -n 's/.*calling init: //p' "$work"/loaded/by.* | sort -u)
numeric=$(grep -E '/lib(dnnl|gomp|omp|iomp5|OpenCL|cl|c?blas|lapack|openblas|mkl)[^/]*$' <<<"$loaded" || true)
printf 'numeric libraries that were loaded:\n%s\n' "$numeric"

if ! grep -q "^$work/cache/.*/libdnnl\.so\.3$" <<<"$numeric"; then
  echo 'no-system-libraries: the command did not load oneDNN, so it proves nothing.' >&2
  exit 1
fi
if foreign=$(grep -v "^$work/cache/" <<<"$numeric"); then
  printf 'no-system-libraries: these are not from trainer.jar:\n%s\n' "$foreign" >&2
  exit 1
fi
