/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmctl/vmctl.h"

#include "vmctl/table.h"

static void print_cpu(const json_t *m)
{
	uint64_t running = field_number(m, "running_us"), cpu = field_number(m, "cpu_us");
	char text[TEXT_TIME_MAX];

	text_format_time(cpu, text);
	printf("  processors  %s", text);
	if (running)
		printf(", %.1f %% of one on average",
		       (double)cpu * 100 / (double)running);
	putchar('\n');
}

static void print_memory(const json_t *m)
{
	char least[TEXT_SIZE_MAX], average[TEXT_SIZE_MAX], most[TEXT_SIZE_MAX];

	text_format_size(field_number(m, "memory_min_bytes"), least);
	text_format_size(field_number(m, "memory_average_bytes"), average);
	text_format_size(field_number(m, "memory_max_bytes"), most);
	printf("  memory      %s on average, %s to %s\n", average, least, most);
}

static void print_disks(const json_t *m)
{
	uint64_t running = field_number(m, "running_us");
	uint64_t operations = field_number(m, "operations");
	char in[TEXT_SIZE_MAX], out[TEXT_SIZE_MAX];

	text_format_size(field_number(m, "read_bytes"), in);
	text_format_size(field_number(m, "write_bytes"), out);
	printf("  disks       %s read, %s written", in, out);
	if (running)
		printf(", %.1f IOPS of 8 KiB on average",
		       (double)field_number(m, "normalized_operations") * 1e6 /
			       (double)running);
	if (operations)
		printf(", %.0f us each",
		       (double)field_number(m, "latency_us") / (double)operations);
	putchar('\n');
}

static void print_network(const json_t *m)
{
	char in[TEXT_SIZE_MAX], out[TEXT_SIZE_MAX];

	text_format_size(field_number(m, "received_bytes"), in);
	text_format_size(field_number(m, "sent_bytes"), out);
	printf("  network     %s received, %s sent\n", in, out);
}

static void print_meter(const json_t *m)
{
	char ran[TEXT_TIME_MAX];

	text_format_time(field_number(m, "running_us"), ran);
	print_line(stdout, "%s is metered since %s and ran %s of that.",
		   field_text(m, "name"), field_text(m, "since"), ran);
	print_cpu(m);
	print_memory(m);
	print_disks(m);
	print_network(m);
}

int verb_meter(struct vmctl *v, const struct args *a)
{
	json_auto_t *answer = NULL;
	int status =
		call(v, v->verb->method, json_pack("{s:s}", "vm", a->words[0]), &answer);

	if (status)
		return status;
	if (v->json)
		return print_json(answer);
	if (json_object_size(answer) == 0)
		print_line(stdout, "%s is metered no more", a->words[0]);
	else
		print_meter(answer);
	return VMCTL_DONE;
}
