/* SPDX-License-Identifier: BSD-2-Clause */
/* The host check over folders that look like /proc and /sys. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "unit/test.h"
#include "vid/host_priv.h"

static int root = -1;
static char path[64];

static void file(const char *name, const char *text)
{
	int fd = openat(root, name, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}

static void setup(void)
{
	strcpy(path, "/tmp/test_host.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(path));
	root = open(path, O_RDONLY | O_DIRECTORY);
	ck_assert_int_ge(root, 0);
	for (const char *const *d =
		     (const char *const[]){ "proc", "sys", "sys/module",
					    "sys/module/kvm_intel",
					    "sys/module/kvm_intel/parameters", NULL };
	     *d; d++)
		ck_assert_int_eq(mkdirat(root, *d, 0700), 0);
}

static void teardown(void)
{
	static const char *const names[] = { "proc/cpuinfo",
					     "sys/module/kvm_intel/parameters/ept" };
	static const char *const dirs[] = { "sys/module/kvm_intel/parameters",
					    "sys/module/kvm_intel",
					    "sys/module/kvm_pvm",
					    "sys/module",
					    "sys",
					    "proc" };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		unlinkat(root, names[i], 0);
	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++)
		unlinkat(root, dirs[i], AT_REMOVEDIR);
	close(root);
	ck_assert_int_eq(rmdir(path), 0);
}

#define HEAD "processor\t: 0\nvendor_id\t: X\n"

/* What one item says of a host that is given by cpuinfo, EPT's parameter, and the open of /dev/kvm. */
static const struct {
	const char *cpuinfo, *ept;
	int kvm;
	const char *item;
	enum host_check_result result;
	const char *text;
} cases[] = {
	{ NULL, NULL, -ENOENT, "virtualization", HOST_MISSING, "firmware" },
	{ "", NULL, -ENOENT, "no-execute", HOST_MISSING, "firmware" },
	{ "\nflags", NULL, -ENOENT, "no-execute", HOST_MISSING, "firmware" },
	{ HEAD "flags\t\t: vmxx nxx xnx\n", NULL, -ENOENT, "virtualization", HOST_MISSING,
	  "firmware" },
	{ HEAD "flags\t\t: vmxx nxx xnx\n", NULL, -ENOENT, "no-execute", HOST_MISSING,
	  "NX" },
	{ HEAD "flags\t\t: fpu nx\nprocessor\t: 1\nflags\t\t: vmx\n", NULL, -ENOENT,
	  "virtualization", HOST_MISSING, "firmware" },
	{ HEAD "flags\t\t: fpu vmx nx\n", NULL, -ENOENT, "/dev/kvm", HOST_MISSING,
	  "modprobe kvm_intel" },
	{ HEAD "flags\t\t: fpu svm nx\n", NULL, -ENOENT, "/dev/kvm", HOST_MISSING,
	  "modprobe kvm_amd" },
	{ HEAD "flags\t\t: fpu svm nx\n", NULL, -EACCES, "/dev/kvm", HOST_MISSING,
	  "group" },
	{ HEAD "flags\t\t: fpu svm nx\n", NULL, -EBUSY, "/dev/kvm", HOST_MISSING,
	  "another" },
	{ HEAD "flags\t\t: fpu svm nx\n", NULL, -EMFILE, "/dev/kvm", HOST_MISSING,
	  "Too many" },
	{ HEAD "flags\t\t: vmx nx\n", "N\n", -ENOENT, "second-level translation",
	  HOST_NOTE, "ept=1" },
	{ HEAD "flags\t\t: vmx nx\n", NULL, -ENOENT, "second-level translation",
	  HOST_NOTE, "ept=1" },
	{ HEAD "flags\t\t: vmx nx ept\n", NULL, -ENOENT, "second-level translation",
	  HOST_OK, "EPT" },
	{ HEAD "flags\t\t: vmx nx\n", "Y\n", -ENOENT, "second-level translation", HOST_OK,
	  "EPT" },
	{ HEAD "flags\t\t: svm nx npt\n", NULL, -ENOENT, "second-level translation",
	  HOST_OK, "NPT" },
	{ HEAD "flags\t\t: nx\n", NULL, 0, "virtualization", HOST_NOTE, "software KVM" },
	{ HEAD "flags\t\t: nx\n", NULL, 0, "KVM API", HOST_MISSING, "no KVM" },
	{ HEAD "flags\t\t: nx\n", NULL, 0, "/dev/kvm", HOST_OK, "opens" },
};

START_TEST(item_says)
{
	int kvm = cases[_i].kvm ? cases[_i].kvm : open("/dev/null", O_RDWR);
	struct host_check_item *items = NULL;
	const struct host_check_item *it = NULL;
	size_t n = 0;

	if (cases[_i].cpuinfo)
		file("proc/cpuinfo", cases[_i].cpuinfo);
	if (cases[_i].ept)
		file("sys/module/kvm_intel/parameters/ept", cases[_i].ept);
	/* None of these hosts can run a VM: /dev/null is no KVM. */
	ck_assert_int_eq(host_check_below(root, kvm, &items, &n), 1);
	for (size_t i = 0; i < n; i++) {
		if (strcmp(items[i].name, cases[_i].item) == 0)
			it = &items[i];
	}
	ck_assert_ptr_nonnull(it);
	ck_assert_int_eq(it->result, cases[_i].result);
	ck_assert_ptr_nonnull(strstr(it->text, cases[_i].text));
	free(items);
	if (kvm >= 0)
		close(kvm);
}
END_TEST

START_TEST(software_kvm_has_its_name)
{
	struct host_check_item *items = NULL;
	int kvm = open("/dev/null", O_RDWR);
	size_t n = 0;

	file("proc/cpuinfo", HEAD "flags\t\t: nx\n");
	ck_assert_int_eq(mkdirat(root, "sys/module/kvm_pvm", 0700), 0);
	ck_assert_int_eq(host_check_below(root, kvm, &items, &n), 1);
	ck_assert_str_eq(items[1].name, "virtualization");
	ck_assert_ptr_nonnull(strstr(items[1].text, "kvm_pvm"));
	free(items);
	close(kvm);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("host");
	TCase *t = tcase_create("host");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(t, item_says, 0, (int)ARRAY_SIZE(cases));
	tcase_add_test(t, software_kvm_has_its_name);
	suite_add_tcase(s, t);
	return s;
}

TEST_MAIN(suite)
