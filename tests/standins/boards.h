/* The machines that the stand-ins for NVIDIA's libraries show. STANDIN names one; STANDIN_LOST is the index of a GPU that
   is lost: once the file STANDIN_LOST_FILE is there, or from the start if that names none; STANDIN_MIG=1 partitions the
   first GPU; STANDIN_IDLE=1 has links at generation 1 and clocks at 300 MHz; STANDIN_REASONS are bits of why clocks are
   held back; STANDIN_OTHER is the id of a process on the first GPU. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

typedef struct {
  const char *name, *uuid, *bus;
  unsigned milliwatts; /* 0: not told */
  int has_counter;
  unsigned pcie_gen, pcie_width;         /* under load */
  unsigned max_pcie_gen, max_pcie_width; /* of board and slot */
  unsigned capability, gib, nvlinks;     /* 75 is 7.5 */
} board;

typedef struct {
  const char *name;
  int count;
  board boards[4]; /* by bus, as NVML has them */
  int fastest[4];  /* CUDA's order */
} machine;

static const machine MACHINES[] = {
    {"four-rtx-2070", 4,
     {{"NVIDIA GeForce RTX 2070", "GPU-a0000000-1111-2222-3333-444444444440", "01:00.0", 150000, 0, 3, 16, 3, 16, 75, 8, 0},
      {"NVIDIA GeForce RTX 2070", "GPU-a1000000-1111-2222-3333-444444444441", "3B:00.0", 151000, 0, 2, 1, 2, 16, 75, 8, 0},
      {"NVIDIA GeForce RTX 2070", "GPU-b0000000-1111-2222-3333-444444444442", "4C:00.0", 152000, 0, 2, 1, 2, 16, 75, 8, 0},
      {"NVIDIA GeForce RTX 2070", "GPU-c0000000-1111-2222-3333-444444444443", "AF:00.0", 153000, 0, 2, 4, 2, 16, 75, 8, 0}},
     {0, 1, 2, 3}},
    {"h200", 1,
     {{"NVIDIA H200", "GPU-d0000000-1111-2222-3333-444444444440", "05:00.0", 480000, 1, 5, 16, 5, 16, 90, 141, 0}},
     {0}},
    {"b200", 1,
     {{"NVIDIA B200", "GPU-d1000000-1111-2222-3333-444444444440", "05:00.0", 900000, 1, 5, 8, 5, 16, 100, 180, 18}},
     {0}},
    {"reversed", 2,
     {{"NVIDIA GeForce GT 1030", "GPU-e0000000-1111-2222-3333-444444444440", "01:00.0", 0, 0, 2, 4, 2, 4, 61, 2, 0},
      {"Tesla V100-SXM2-32GB", "GPU-f0000000-1111-2222-3333-444444444441", "03:00.0", 250000, 1, 3, 16, 3, 16, 70, 32, 6}},
     {1, 0}},
};

static int set(const char *name) { return getenv(name) && *getenv(name); }

static const machine *here(void) {
  for (unsigned i = 0; i < sizeof MACHINES / sizeof *MACHINES; i++)
    if (set("STANDIN") && !strcmp(getenv("STANDIN"), MACHINES[i].name)) return MACHINES + i;
  return MACHINES;
}

static int is_lost(int index) {
  if (!set("STANDIN_LOST") || atoi(getenv("STANDIN_LOST")) != index) return 0;
  return !set("STANDIN_LOST_FILE") || !access(getenv("STANDIN_LOST_FILE"), F_OK);
}
