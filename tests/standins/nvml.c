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
  m->total = 8ull << 30, m->used = (2ull + index_of(g)) << 30, m->free = m->total - m->used;
  return OK;
}
int nvmlDeviceGetPowerUsage(gpu g, unsigned *mw) { ALIVE(g); *mw = g->milliwatts; return *mw ? OK : NOT_SUPPORTED; }
int nvmlDeviceGetTotalEnergyConsumption(gpu g, unsigned long long *mj) {
  ALIVE(g);
  *mj = 5000000 + (unsigned long long)((now_s() - began_s) * g->milliwatts); /* since the driver was loaded */
  return g->has_counter ? OK : NOT_SUPPORTED;
}
int nvmlDeviceGetTemperature(gpu g, int sensor, unsigned *celsius) { ALIVE(g); *celsius = 60 + index_of(g); return OK; }
int nvmlDeviceGetClockInfo(gpu g, int clock, unsigned *mhz) { ALIVE(g); *mhz = clock == 1 ? 1620 : 7001; return OK; }
int nvmlDeviceGetCurrPcieLinkGeneration(gpu g, unsigned *gen) { ALIVE(g); *gen = g->pcie_gen; return OK; }
int nvmlDeviceGetCurrPcieLinkWidth(gpu g, unsigned *width) { ALIVE(g); *width = g->pcie_width; return OK; }
