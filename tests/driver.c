/* A CUDA driver without a device: memory is the host's, kernels are noted and do not run.

   Enough of the interface for Numba to compile for sm_90, copy, launch, and capture graphs. What it
   was asked to do is in a row of notes: "copy", or the name of a kernel, with its grid and block
   and whether it was launched by itself (1) or by a graph (2). */

#define _GNU_SOURCE
#define __CUDA_API_VERSION_INTERNAL
#include <cuda.h>
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct { char name[400]; unsigned grid[3], block[3], by; } Note;
typedef struct { int length; Note launches[64]; } Launches;

static Note notes[4096];
static int noted, refused;
static Launches *captured;
static CUstream capturing;
static CUcontext current;
static int the_context;

static CUresult note(Note it) { notes[noted++ % 4096] = it; return CUDA_SUCCESS; }

int notes_length(void) { return noted; }
void notes_clear(void) { noted = 0; }
void refuse_graphs(int whether) { refused = whether; }

void note_at(int at, char *text) {
  Note it = notes[at];
  sprintf(text, "%u %s (%u, %u, %u) (%u, %u, %u)", it.by, it.name, it.grid[0], it.grid[1],
          it.grid[2], it.block[0], it.block[1], it.block[2]);
}

#define DOES(name, arguments, body) CUresult name arguments { body; return CUDA_SUCCESS; }

DOES(cuInit, (unsigned flags), )
DOES(cuDriverGetVersion, (int *version), *version = 13000)
DOES(cuGetErrorName, (CUresult error, const char **name), *name = "CUDA_ERROR")
DOES(cuGetErrorString, (CUresult error, const char **text), *text = "an error")

DOES(cuDeviceGetCount, (int *count), *count = 1)
DOES(cuDeviceGet, (CUdevice *device, int number), *device = 0)
DOES(cuDeviceGetName, (char *name, int length, CUdevice device), strcpy(name, "none"))
DOES(cuDeviceGetUuid_v2, (CUuuid *uuid, CUdevice device), memset(uuid, 1, sizeof *uuid))
DOES(cuDeviceGetAttribute, (int *value, CUdevice_attribute which, CUdevice device),
     *value = which == CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR ? 9
            : which == CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR ? 0 : 1024)

DOES(cuDevicePrimaryCtxRetain, (CUcontext *context, CUdevice device),
     *context = (CUcontext)&the_context)
DOES(cuDevicePrimaryCtxRelease_v2, (CUdevice device), )
DOES(cuCtxGetCurrent, (CUcontext *context), *context = current)
DOES(cuCtxSetCurrent, (CUcontext context), current = context)
DOES(cuCtxPushCurrent_v2, (CUcontext context), current = context)
DOES(cuCtxPopCurrent_v2, (CUcontext *context), if (context) *context = current; current = NULL)
DOES(cuCtxGetDevice, (CUdevice *device), *device = 0)
DOES(cuCtxSynchronize, (void), )
DOES(cuCtxGetStreamPriorityRange, (int *least, int *greatest), *least = *greatest = 0)

DOES(cuMemGetInfo_v2, (size_t *left, size_t *all), *left = *all = (size_t)1 << 34)
DOES(cuMemAlloc_v2, (CUdeviceptr *at, size_t bytes), *at = (CUdeviceptr)calloc(1, bytes))
DOES(cuMemFree_v2, (CUdeviceptr at), free((void *)at))

static CUresult copy(void *to, const void *from, size_t bytes) {
  memcpy(to, from, bytes);
  return note((Note){.name = "copy"});
}
CUresult cuMemcpyHtoD_v2(CUdeviceptr to, const void *from, size_t bytes) {
  return copy((void *)to, from, bytes);
}
CUresult cuMemcpyDtoH_v2(void *to, CUdeviceptr from, size_t bytes) {
  return copy(to, (void *)from, bytes);
}

DOES(cuLibraryLoadData, (CUlibrary *library, const void *code, CUjit_option *a, void **b,
     unsigned c, CUlibraryOption *d, void **e, unsigned f), *library = (CUlibrary)malloc(1))
DOES(cuLibraryUnload, (CUlibrary library), free(library))
DOES(cuLibraryGetKernel, (CUkernel *kernel, CUlibrary library, const char *name),
     *kernel = (CUkernel)strndup(name, 399))
DOES(cuKernelGetAttribute, (int *value, CUfunction_attribute which, CUkernel kernel,
     CUdevice device), *value = 0)

CUresult cuLaunchKernelEx(const CUlaunchConfig *how, CUfunction kernel, void **a, void **b) {
  Note it = {.grid = {how->gridDimX, how->gridDimY, how->gridDimZ},
             .block = {how->blockDimX, how->blockDimY, how->blockDimZ}, .by = 1};
  strcpy(it.name, (char *)kernel);
  if (!captured || how->hStream != capturing) return note(it);
  if (refused) return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
  captured->launches[captured->length++] = it;
  return CUDA_SUCCESS;
}

DOES(cuStreamCreateWithPriority, (CUstream *stream, unsigned flags, int priority),
     *stream = (CUstream)malloc(1))
DOES(cuStreamDestroy_v2, (CUstream stream), free(stream))
DOES(cuStreamSynchronize, (CUstream stream), )
DOES(cuStreamGetCtx, (CUstream stream, CUcontext *context), *context = (CUcontext)&the_context)

CUresult cuStreamBeginCapture_v2(CUstream stream, CUstreamCaptureMode mode) {
  /* The default streams cannot be captured. */
  if ((size_t)stream <= (size_t)CU_STREAM_PER_THREAD) return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
  captured = calloc(1, sizeof *captured);
  capturing = stream;
  return CUDA_SUCCESS;
}
CUresult cuStreamEndCapture(CUstream stream, CUgraph *graph) {
  if (graph) *graph = (CUgraph)captured;
  captured = NULL;
  return refused ? CUDA_ERROR_STREAM_CAPTURE_INVALIDATED : CUDA_SUCCESS;
}
CUresult cuStreamGetCaptureInfo_v3(CUstream stream, CUstreamCaptureStatus *status, cuuint64_t *id,
                                   CUgraph *graph, const CUgraphNode **nodes,
                                   const CUgraphEdgeData **edges, size_t *count) {
  if (status) *status = captured ? CU_STREAM_CAPTURE_STATUS_ACTIVE : CU_STREAM_CAPTURE_STATUS_NONE;
  if (graph) *graph = (CUgraph)captured;
  return CUDA_SUCCESS;
}

DOES(cuGraphInstantiateWithParams, (CUgraphExec *run, CUgraph graph,
     CUDA_GRAPH_INSTANTIATE_PARAMS *params),
     *run = memcpy(malloc(sizeof(Launches)), graph, sizeof(Launches));
     params->result_out = CUDA_GRAPH_INSTANTIATE_SUCCESS)
DOES(cuUserObjectCreate, (CUuserObject *object, void *data, CUhostFn destroy, unsigned references,
     unsigned flags), *object = NULL)
DOES(cuGraphRetainUserObject, (CUgraph graph, CUuserObject object, unsigned count,
     unsigned flags), )
DOES(cuGraphReleaseUserObject, (CUgraph graph, CUuserObject object, unsigned count), )
DOES(cuGraphDestroy, (CUgraph graph), )
DOES(cuGraphExecDestroy, (CUgraphExec run), )
CUresult cuGraphLaunch(CUgraphExec run, CUstream stream) {
  Launches *all = (Launches *)run;
  for (int at = 0; at < all->length; at++) {
    Note it = all->launches[at];
    it.by = 2;
    note(it);
  }
  return CUDA_SUCCESS;
}

CUresult cuGetProcAddress_v2(const char *symbol, void **function, int version, cuuint64_t flags,
                             CUdriverProcAddressQueryResult *status) {
  const char *endings[] = {"_v3", "_v2", ""};
  Dl_info here;
  dladdr((void *)cuGetProcAddress_v2, &here);
  void *self = dlopen(here.dli_fname, RTLD_LAZY);
  *function = NULL;
  for (int at = 0; at < 3 && !*function; at++) {
    char name[200];
    snprintf(name, sizeof name, "%s%s", symbol, endings[at]);
    *function = dlsym(self, name);
  }
  dlclose(self);
  if (status) *status = *function ? CU_GET_PROC_ADDRESS_SUCCESS : CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND;
  return *function ? CUDA_SUCCESS : CUDA_ERROR_NOT_FOUND;
}
