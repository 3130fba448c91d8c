/* SPDX-License-Identifier: BSD-2-Clause */
/* Who uses a device, as a made-up proc and sysfs say it; and a device of this host, where there is one that is in use. */
#include "vmms/disk/device.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include "unit/test.h"

static char root[] = "/tmp/test_device.XXXXXX";

static void put(const char *name, const char *text)
{
	char path[300], *slash;
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", root, name);
	for (slash = path + sizeof(root); (slash = strchr(slash, '/')); slash++) {
		*slash = 0;
		mkdir(path, 0700);
		*slash = '/';
	}
	f = fopen(path, "w");
	ck_assert_ptr_nonnull(f);
	fputs(text, f);
	fclose(f);
}

static void setup(void)
{
	strcpy(root + sizeof(root) - 7, "XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(root));
	put("proc/self/mountinfo", "22 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw\n"
				   "short\n"
				   "23 22 8:33 /sub /srv/data rw - xfs /dev/sdc1 rw\n"
				   "24 22 0:5 / /dev rw - devtmpfs udev rw\n");
	put("proc/swaps",
	    "Filename Type Size Used Priority\n/nonexistent partition 1 0 -2\n");
	put("sys/dev/block/8:0/sda1/partition", "1\n");
	put("sys/dev/block/8:0/sda1/dev", "8:1\n");
	put("sys/dev/block/8:0/queue/dev", "8:33\n"); /* no partition, whatever it says */
	put("sys/dev/block/8:16/holders/dm-0", "");
	put("sys/dev/block/8:48/sdd1/partition", "1\n");
	put("sys/dev/block/8:48/sdd1/dev", "nonsense\n");
}

static void teardown(void)
{
	char command[64];

	snprintf(command, sizeof(command), "rm -r %s", root);
	ck_assert_int_eq(system(command), 0);
}

static const struct {
	unsigned int major, minor;
	const char *who; /* NULL: nobody */
} rows[] = {
	{ 8, 1, "it is mounted on /" },
	{ 8, 33, "it is mounted on /srv/data" },
	{ 8, 0, "its partition sda1 is mounted on /" },
	{ 8, 16, "it is part of dm-0" },
	{ 8, 48, NULL },
	{ 8, 64, NULL },
	{ 0, 0, NULL },
};

START_TEST(who_uses_it)
{
	char who[200];

	ck_assert(device_user(root, makedev(rows[_i].major, rows[_i].minor), who,
			      sizeof(who)) == (rows[_i].who != NULL));
	ck_assert_str_eq(who, rows[_i].who ? rows[_i].who : "");
}
END_TEST

START_TEST(what_is_none)
{
	struct rpc_error e;
	int fd;

	ck_assert_int_eq(device_open("/nonexistent", true, true, &fd, &e), -ENOENT);
	ck_assert_ptr_nonnull(strstr(e.message, "/nonexistent"));
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("vmms");
	TCase *t = tcase_create("device");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(t, who_uses_it, 0, ARRAY_SIZE(rows));
	tcase_add_test(t, what_is_none);
	suite_add_tcase(s, t);
	return s;
}

TEST_MAIN(suite)
