/* A stand-in for libcuda.so.1, as far as the boards that it shows: the fastest first, or by bus with
   CUDA_DEVICE_ORDER=PCI_BUS_ID; of these CUDA_VISIBLE_DEVICES, a list of indices, beginnings of UUIDs and MIG names, which
   an entry that names nothing ends. A lost GPU is left out, and of a partitioned one a single part can be seen. Variables
   are read anew by every cuInit. */
#include "boards.h"

enum { OK = 0, NO_DEVICE = 100, INVALID_DEVICE = 101 };
static const char *MIG[] = {"MIG-d0000000-5555-6666-7777-888888888881", "MIG-d0000000-5555-6666-7777-888888888882"};
static int visible[8], count; /* indices of boards */

/* The board of a number in CUDA's count; -1 if there are not so many. */
static int nth(long number) {
  int by_bus = set("CUDA_DEVICE_ORDER") && !strcmp(getenv("CUDA_DEVICE_ORDER"), "PCI_BUS_ID");
  for (int i = 0; i < here()->count && number >= 0; i++) {
    int index = by_bus ? i : here()->fastest[i];
    if (!is_lost(index) && number-- == 0) return index;
  }
  return -1;
}

/* The board that an entry names; -1 if none, or if several begin so. */
static int named(const char *entry) {
  char *end;
  long number = strtol(entry, &end, 10);
  int found = -1;
  if (end != entry) return *end ? -1 : nth(number);
  for (int i = 0; i < here()->count && !strncmp(entry, "GPU-", 4); i++)
    if (!is_lost(i) && !strncmp(here()->boards[i].uuid, entry, strlen(entry))) {
      if (found >= 0) return -1;
      found = i;
    }
  for (int i = 0; i < 2 && set("STANDIN_MIG"); i++)
    if (!strcmp(MIG[i], entry)) found = 0;
  return found;
}

int cuInit(unsigned flags) {
  count = 0;
  if (!getenv("CUDA_VISIBLE_DEVICES")) {
    while ((visible[count] = nth(count)) >= 0) count++;
  } else {
    char list[512];
    snprintf(list, sizeof list, "%s", getenv("CUDA_VISIBLE_DEVICES"));
    for (char *entry = strtok(list, ","); entry && count < 8; entry = strtok(NULL, ",")) {
      if ((visible[count] = named(entry)) < 0) break;
      count++;
    }
  }
  if (set("STANDIN_MIG") && count > 1) count = 1;
  return count ? OK : NO_DEVICE;
}
int cuDeviceGetCount(int *found) { *found = count; return OK; }
int cuDeviceGet(int *device, int ordinal) { *device = ordinal; return ordinal < count ? OK : INVALID_DEVICE; }
int cuDeviceGetPCIBusId(char *name, int size, int device) {
  snprintf(name, size, "0000:%s", here()->boards[visible[device]].bus);
  return OK;
}
int cuDeviceGetName(char *name, int size, int device) {
  snprintf(name, size, "%s%s", here()->boards[visible[device]].name, set("STANDIN_MIG") && !visible[device] ? " MIG 1g" : "");
  return OK;
}
int cuDeviceTotalMem_v2(size_t *bytes, int device) { /* of a part a seventh, in whole GiB */
  size_t gib = here()->boards[visible[device]].gib;
  *bytes = (set("STANDIN_MIG") && !visible[device] ? gib / 7 : gib) << 30;
  return OK;
}
int cuDriverGetVersion(int *version) { *version = 13000; return OK; }
