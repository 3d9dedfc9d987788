/* A stand-in for libnvidia-ml.so.1, as far as the sampler asks it: the boards of boards.h, by bus. */
#include "boards.h"

enum { OK = 0, NOT_SUPPORTED = 3, INVALID = 2, LOST = 15 };
typedef const board *gpu;
typedef struct { char legacy[16]; unsigned domain, bus, device, id, subsystem; char bus_id[32]; } pci_info;
typedef struct { unsigned gpu, memory; } utilisation;
typedef struct { unsigned long long total, free, used; } memory;
static double began_s;

static double now_s(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec + now.tv_nsec * 1e-9;
}
static int index_of(gpu g) { return (int)(g - here()->boards); }
#define ALIVE(g) if (is_lost(index_of(g))) return LOST

int nvmlInitWithFlags(unsigned flags) { began_s = now_s(); return OK; }
int nvmlShutdown(void) { return OK; }
const char *nvmlErrorString(int code) { return code == LOST ? "GPU is lost" : code == NOT_SUPPORTED ? "Not Supported" : "Unknown Error"; }
int nvmlDeviceGetCount_v2(unsigned *count) { *count = here()->count; return OK; }
int nvmlDeviceGetHandleByIndex_v2(unsigned index, gpu *g) {
  if ((int)index >= here()->count) return INVALID;
  *g = here()->boards + index;
  ALIVE(*g);
  return OK;
}
int nvmlDeviceGetName(gpu g, char *name, unsigned size) { ALIVE(g); snprintf(name, size, "%s", g->name); return OK; }
int nvmlDeviceGetPciInfo_v3(gpu g, pci_info *info) {
  ALIVE(g);
  memset(info, 0, sizeof *info);
  snprintf(info->bus_id, sizeof info->bus_id, "00000000:%s", g->bus);
  return OK;
}
int nvmlDeviceGetMigMode(gpu g, unsigned *current, unsigned *pending) {
  ALIVE(g);
  if (!g->has_counter) return NOT_SUPPORTED;
  *current = *pending = set("STANDIN_MIG") && index_of(g) == 0;
  return OK;
}
int nvmlDeviceGetUtilizationRates(gpu g, utilisation *u) { ALIVE(g); u->gpu = 90 - index_of(g); u->memory = 40; return OK; }
int nvmlDeviceGetMemoryInfo(gpu g, memory *m) {
  ALIVE(g);
  m->total = (unsigned long long)g->gib << 30, m->used = (2ull + index_of(g)) << 30, m->free = m->total - m->used;
  return OK;
}
int nvmlDeviceGetPowerUsage(gpu g, unsigned *mw) { ALIVE(g); *mw = g->milliwatts; return *mw ? OK : NOT_SUPPORTED; }
int nvmlDeviceGetTotalEnergyConsumption(gpu g, unsigned long long *mj) {
  ALIVE(g);
  const char *kind = getenv("STANDIN_COUNTER");
  double counted_s = now_s() - began_s, late_s = counted_s > 0.5 ? counted_s - 0.5 : 0.0;
  unsigned long long start = 5000000; /* since the driver was loaded */
  if (kind && !strcmp(kind, "wraps")) { /* 32 bits, over after half a second */
    *mj = ((1ull << 32) - (unsigned long long)(0.5 * g->milliwatts) + (unsigned long long)(counted_s * g->milliwatts)) & 0xffffffffull;
    return OK;
  }
  if (kind && !strcmp(kind, "resets") && late_s > 0) start = 0, counted_s = late_s;
  if (kind && !strcmp(kind, "stands") && late_s > 0) counted_s = 0.5;
  *mj = start + (unsigned long long)(counted_s * g->milliwatts);
  return g->has_counter ? OK : NOT_SUPPORTED;
}
int nvmlDeviceGetTemperature(gpu g, int sensor, unsigned *celsius) { ALIVE(g); *celsius = 60 + index_of(g); return OK; }
int nvmlDeviceGetClockInfo(gpu g, int clock, unsigned *mhz) { ALIVE(g); *mhz = clock != 1 ? 7001 : set("STANDIN_IDLE") ? 300 : 1620; return OK; }
int nvmlDeviceGetCurrPcieLinkGeneration(gpu g, unsigned *gen) { ALIVE(g); *gen = set("STANDIN_IDLE") ? 1 : g->pcie_gen; return OK; }
int nvmlDeviceGetCurrPcieLinkWidth(gpu g, unsigned *width) { ALIVE(g); *width = g->pcie_width; return OK; }

/* What detect and doctor ask besides. An H200's driver knows all of it, an old board's little. */
int nvmlSystemGetDriverVersion(char *version, unsigned size) { snprintf(version, size, "580.95.05"); return OK; }
int nvmlSystemGetCudaDriverVersion(int *version) { *version = set("STANDIN_CUDA") ? atoi(getenv("STANDIN_CUDA")) : 13000; return OK; }
int nvmlDeviceGetUUID(gpu g, char *uuid, unsigned size) { ALIVE(g); snprintf(uuid, size, "%s", g->uuid); return OK; }
int nvmlDeviceGetCudaComputeCapability(gpu g, int *major, int *minor) {
  ALIVE(g);
  *major = g->capability / 10, *minor = g->capability % 10;
  return OK;
}
int nvmlDeviceGetMaxPcieLinkGeneration(gpu g, unsigned *gen) { ALIVE(g); *gen = g->max_pcie_gen; return OK; }
int nvmlDeviceGetMaxPcieLinkWidth(gpu g, unsigned *width) { ALIVE(g); *width = g->max_pcie_width; return OK; }
int nvmlDeviceGetPcieReplayCounter(gpu g, unsigned *count) { ALIVE(g); *count = 3 * index_of(g); return OK; }
int nvmlDeviceGetNvLinkState(gpu g, unsigned link, unsigned *state) {
  ALIVE(g);
  *state = 1;
  return !g->nvlinks ? NOT_SUPPORTED : link < g->nvlinks ? OK : INVALID;
}
int nvmlDeviceGetNumaNodeId(gpu g, unsigned *node) { ALIVE(g); *node = index_of(g) / 2; return g->has_counter ? OK : NOT_SUPPORTED; }
int nvmlDeviceGetMaxClockInfo(gpu g, int clock, unsigned *mhz) { ALIVE(g); *mhz = clock == 1 ? 1980 : 7001; return OK; }
int nvmlDeviceGetEnforcedPowerLimit(gpu g, unsigned *mw) { ALIVE(g); *mw = g->milliwatts + 25000; return g->milliwatts ? OK : NOT_SUPPORTED; }
int nvmlDeviceGetPowerManagementDefaultLimit(gpu g, unsigned *mw) {
  ALIVE(g);
  *mw = g->milliwatts + (set("STANDIN_CAPPED") ? 75000 : 25000);
  return g->milliwatts ? OK : NOT_SUPPORTED;
}
int nvmlDeviceGetRemappedRows(gpu g, unsigned *correctable, unsigned *uncorrectable, unsigned *pending, unsigned *failed) {
  ALIVE(g);
  *correctable = *failed = 0, *uncorrectable = *pending = set("STANDIN_ERRORS");
  return g->has_counter ? OK : NOT_SUPPORTED;
}
int nvmlDeviceGetCurrentClocksEventReasons(gpu g, unsigned long long *bits) {
  ALIVE(g);
  *bits = set("STANDIN_REASONS") ? strtoull(getenv("STANDIN_REASONS"), NULL, 0) : set("STANDIN_IDLE") ? 1 : 0;
  return OK;
}
int nvmlDeviceGetEccMode(gpu g, unsigned *current, unsigned *pending) { ALIVE(g); *current = *pending = 1; return g->has_counter ? OK : NOT_SUPPORTED; }
int nvmlDeviceGetTotalEccErrors(gpu g, int kind, int counter, unsigned long long *errors) {
  ALIVE(g);
  *errors = set("STANDIN_ERRORS") ? strtoull(getenv("STANDIN_ERRORS"), NULL, 0) : 0;
  return g->has_counter ? OK : NOT_SUPPORTED;
}
typedef struct { unsigned pid; unsigned long long memory; unsigned instance, compute; } process;
int nvmlDeviceGetComputeRunningProcesses_v3(gpu g, unsigned *count, process *found) {
  ALIVE(g);
  unsigned room = *count;
  *count = set("STANDIN_OTHER") && index_of(g) == 0;
  if (*count > room) return 7; /* too small */
  if (*count) found[0] = (process){atoi(getenv("STANDIN_OTHER")), 1ull << 30, ~0u, ~0u};
  return OK;
}
int nvmlDeviceGetComputeMode(gpu g, int *mode) { ALIVE(g); *mode = 0; return OK; }
int nvmlDeviceGetPersistenceMode(gpu g, int *mode) { ALIVE(g); *mode = g->has_counter; return OK; }
