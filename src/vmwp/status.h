/* SPDX-License-Identifier: BSD-2-Clause */
/* The status document of docs/architecture.md. */
#ifndef VMWP_STATUS_H
#define VMWP_STATUS_H

#include <jansson.h>

struct machine;

/* A new reference, NULL without memory. Thread: the loop. */
json_t *status_json(const struct machine *m);

#endif
