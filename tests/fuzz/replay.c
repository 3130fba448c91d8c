/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A fuzz target as an ordinary test: replays the files of the folder that is named (seeds, and inputs that once
 * failed), then a fixed series of random inputs. TAP, one line for the seeds and one for the series.
 */
#include "fuzz/fuzz.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include "util/cleanup.h"
#include "util/io.h"

#define RANDOM_INPUTS 3000
#define RANDOM_MAX_LOG2 12
#define SEED_MAX (1u << 20)

static int replay_seed(int dir, const char *name)
{
	cleanup_free char *text = NULL;
	size_t len;
	int r = io_read_file(dir, name, SEED_MAX, &text, &len);

	if (r < 0) {
		printf("# %s: %s\n", name, strerror(-r));
		return r;
	}
	LLVMFuzzerTestOneInput((const uint8_t *)text, len);
	return 0;
}

/* The count of seeds, or -errno. A target without a folder of seeds has none. */
static int replay_folder(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *e;
	int r = 0, n = 0;

	while (dir && r == 0 && (e = readdir(dir)) != NULL) {
		if (e->d_name[0] == '.')
			continue;
		r = replay_seed(dirfd(dir), e->d_name);
		n++;
	}
	if (dir)
		closedir(dir);
	return r < 0 ? r : n;
}

static uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

/* Short inputs are as likely as long ones, and small numbers as any byte: both reach further into decoders. */
static void replay_random(void)
{
	uint64_t state = 0x9e3779b97f4a7c15;

	for (int i = 0; i < RANDOM_INPUTS; i++) {
		size_t len = next_random(&state) %
			     ((size_t)1 << (next_random(&state) % RANDOM_MAX_LOG2));
		uint8_t *data = malloc(len ? len : 1);

		if (!data)
			abort();
		for (size_t at = 0; at < len; at++) {
			uint64_t v = next_random(&state);

			data[at] = (uint8_t)(v & 0x100 ? v & 7 : v);
		}
		LLVMFuzzerTestOneInput(data, len);
		free(data);
	}
}

int main(int argc, char **argv)
{
	int n;

	if (argc != 2) {
		fprintf(stderr, "usage: %s FOLDER\n", argv[0]);
		return 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("1..2\n");
	n = replay_folder(argv[1]);
	printf("%s 1 - %d seeds\n", n < 0 ? "not ok" : "ok", n < 0 ? 0 : n);
	replay_random();
	printf("ok 2 - %d random inputs\n", RANDOM_INPUTS);
	return n < 0;
}
