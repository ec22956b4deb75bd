/*
 * What Panatron binds from oneDNN's C interface, and the two functions of the
 * OpenMP runtime that ship next to it (declared here because the jar that
 * carries the runtime carries no omp.h; the signatures are the OpenMP API's).
 */
#include <oneapi/dnnl/dnnl.h>

void omp_set_num_threads(int num_threads);
int omp_get_max_threads(void);
