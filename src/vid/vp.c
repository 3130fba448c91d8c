/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The VPs' threads and the barrier that all of them stand behind.
 *
 * partition.want says what all VPs shall do. A VP that has left guest code looks at it before it enters again; one that sleeps behind the barrier
 * waits for `go`. To have them stand, the owner sets want, then each VP's immediate_exit, then sends the kick signal, and
 * waits until `standing` says that all do. No wake-up is lost: a VP clears immediate_exit before it looks at want, so
 * either it sees the new want, or the flag is set after the clearing and KVM_RUN returns at once, or the VP is in KVM_RUN
 * already and the signal ends it. The signal's handler has nothing to do.
 *
 * Each thread makes its VP in KVM itself, so that all are made at the same time.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>
#include "sandbox/sandbox.h"
#include "util/log.h"
#include "vid/partition_priv.h"

#define VP_STACK_BYTES (128u << 10)
#define KICK_SIGNAL SIGRTMIN

static void kick_handler(int sig)
{
	(void)sig;
}

static int kick_install(void)
{
	struct sigaction sa = { .sa_handler = kick_handler };

	sigfillset(&sa.sa_mask);
	return sigaction(KICK_SIGNAL, &sa, NULL) < 0 ? -errno : 0;
}

static void immediate_exit_set(struct vp *vp, uint8_t on)
{
	atomic_store((_Atomic uint8_t *)&vp->run->immediate_exit, on);
}

/* The VP's thread lives: it is called under the lock, and threads end only after the owner has taken want to VP_QUIT under it. */
static void vps_kick_locked(struct partition *p)
{
	for (unsigned int i = 0; i < p->config.vps; i++) {
		struct vp *vp = &p->vp[i];

		if (!vp->started || !vp->run)
			continue;
		immediate_exit_set(vp, 1);
		pthread_kill(vp->thread, KICK_SIGNAL);
	}
}

static int vp_open(struct vp *vp)
{
	struct partition *p = vp->p;
	void *run;

	vp->fd = vm_call(p->vm_fd, KVM_CREATE_VCPU, vp->index);
	if (vp->fd < 0)
		return vp->fd;
	run = mmap(NULL, p->run_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, vp->fd, 0);
	if (run == MAP_FAILED)
		return -errno;
	vp->run = run;
	vp->run->kvm_valid_regs = KVM_SYNC_X86_REGS;
	vp_kstats_open(vp);
	return vp_state_init(vp);
}

static void vp_close(struct vp *vp)
{
	vp_kstats_close(vp);
	if (vp->run)
		munmap(vp->run, vp->p->run_bytes);
	if (vp->fd >= 0)
		close(vp->fd);
	vp->run = NULL;
	vp->fd = -1;
	vp->prepared = vp->unfinished = false;
}

/* Lets KVM finish the access of the last exit without running guest code, so that the registers are whole. */
static void vp_finish(struct vp *vp)
{
	if (!vp->unfinished)
		return;
	vp->unfinished = false;
	immediate_exit_set(vp, 1);
	(void)ioctl(vp->fd, KVM_RUN, 0ul);
}

/* Guest code, until want says otherwise. */
static void vp_run(struct vp *vp)
{
	for (;;) {
		immediate_exit_set(vp, 0);
		if (atomic_load(&vp->p->want) != VP_RUN)
			break;
		vp_exit(vp, ioctl(vp->fd, KVM_RUN, 0ul) < 0 ? errno : 0);
	}
	vp_finish(vp);
}

static void vp_stand_locked(struct vp *vp)
{
	struct partition *p = vp->p;

	p->standing++;
	pthread_cond_signal(&p->stood);
	while (atomic_load(&p->want) == VP_STAND)
		pthread_cond_wait(&p->go, &p->lock);
	p->standing--;
}

static void *vp_thread(void *opaque)
{
	struct vp *vp = opaque;
	struct partition *p = vp->p;
	char name[16];

	snprintf(name, sizeof(name), "vp %u", vp->index);
	log_thread(name);
	vp->open_result = vp_open(vp);
	sandbox_thread(SANDBOX_VP);
	pthread_mutex_lock(&p->lock);
	for (;;) {
		vp_stand_locked(vp);
		if (atomic_load(&p->want) == VP_QUIT)
			break;
		pthread_mutex_unlock(&p->lock);
		vp_run(vp);
		pthread_mutex_lock(&p->lock);
	}
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

/* All signals but the kick and the sandbox's are blocked in a VP's thread: they are the main thread's. */
static int vp_thread_start(struct vp *vp)
{
	struct partition *p = vp->p;
	pthread_attr_t attr;
	sigset_t mask, old;
	int r;

	sigfillset(&mask);
	sigdelset(&mask, KICK_SIGNAL);
	sigdelset(&mask,
		  SIGSYS); /* the sandbox's, which is there before its list for VPs */
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, MAX(VP_STACK_BYTES, (size_t)PTHREAD_STACK_MIN));
	pthread_sigmask(SIG_BLOCK, &mask, &old);
	pthread_mutex_lock(&p->lock);
	r = -pthread_create(&vp->thread, &attr, vp_thread, vp);
	if (!r)
		r = -pthread_getcpuclockid(vp->thread, &vp->cpu_clock);
	vp->started = !r;
	pthread_mutex_unlock(&p->lock);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	pthread_attr_destroy(&attr);
	return r;
}

static unsigned int vps_started(const struct partition *p)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < p->config.vps; i++)
		n += p->vp[i].started;
	return n;
}

static void all_stood_wait_locked(struct partition *p)
{
	while (p->standing < vps_started(p))
		pthread_cond_wait(&p->stood, &p->lock);
}

int vps_open(struct partition *p)
{
	int r = kick_install();

	atomic_store(&p->want, VP_STAND);
	for (unsigned int i = 0; i < p->config.vps && !r; i++)
		r = vp_thread_start(&p->vp[i]);
	pthread_mutex_lock(&p->lock);
	all_stood_wait_locked(p);
	pthread_mutex_unlock(&p->lock);
	for (unsigned int i = 0; i < p->config.vps && !r; i++)
		r = p->vp[i].open_result;
	if (r)
		vps_close(p);
	return r;
}

static void vps_want_locked(struct partition *p, enum vp_want want)
{
	atomic_store(&p->want, want);
	pthread_cond_broadcast(&p->go);
	if (want != VP_RUN)
		vps_kick_locked(p);
}

void vps_close(struct partition *p)
{
	vps_stand(p);
	pthread_mutex_lock(&p->lock);
	vps_want_locked(p, VP_QUIT);
	pthread_mutex_unlock(&p->lock);
	for (unsigned int i = 0; i < p->config.vps; i++) {
		struct vp *vp = &p->vp[i];

		if (vp->started) {
			pthread_mutex_lock(&p->lock);
			vp_run_time_keep_locked(vp);
			vp->started = false;
			pthread_mutex_unlock(&p->lock);
			pthread_join(vp->thread, NULL);
		}
		vp_close(vp);
	}
}

bool vps_run(struct partition *p)
{
	bool ok;

	pthread_mutex_lock(&p->lock);
	ok = !p->halted;
	if (ok)
		vps_want_locked(p, VP_RUN);
	pthread_mutex_unlock(&p->lock);
	return ok;
}

void vps_stand(struct partition *p)
{
	pthread_mutex_lock(&p->lock);
	vps_want_locked(p, VP_STAND);
	all_stood_wait_locked(p);
	pthread_mutex_unlock(&p->lock);
}

bool vps_halt(struct partition *p)
{
	bool first;

	pthread_mutex_lock(&p->lock);
	first = !p->halted;
	p->halted = true;
	vps_want_locked(p, VP_STAND);
	pthread_mutex_unlock(&p->lock);
	return first;
}
