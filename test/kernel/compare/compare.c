/*
 * The same work as here.ts, in C: what userfaults and bulk placing take without JavaScript. Compiled by compare.mjs, where there is a compiler.
 *
 *     compare CPU CPU            prints one line "name ns" for each figure, the median of its rounds
 *
 * fault: a thread touches FAULTS pages, each missing; the other sleeps in read(), and places each by UFFDIO_COPY or UFFDIO_MOVE. Both on
 * the first CPU, or on one each. As in here.ts one thread touches in all rounds, asked by a semaphore: a thread born for each round is
 * woken on another CPU some 10 us sooner here, in C and in JavaScript alike, and a vCPU is no such thread. bulk: BULK_BYTES placed, so many pages a call; before each round the memory is given back, and
 * what is moved is written anew, untimed.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define PAGE 4096UL
#define FAULTS 256UL
#define FAULT_ROUNDS 61
#define BULK_BYTES (64UL << 20)
#define BULK_ROUNDS 5

/* Headers before Linux 6.8 do not have it. */
#ifndef UFFDIO_MOVE
#define UFFD_FEATURE_MOVE (1 << 16)
struct uffdio_move {
	__u64 dst, src, len, mode;
	__s64 move;
};
#define UFFDIO_MOVE _IOWR(UFFDIO, 0x05, struct uffdio_move)
#endif

static int is_move;
static int uffd;
static char *to, *from;

static void must(int good, const char *what)
{
	if (good)
		return;
	perror(what);
	exit(1);
}

static double now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e9 + t.tv_nsec;
}

static void pin(int cpu)
{
	cpu_set_t set;
	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	must(sched_setaffinity(0, sizeof(set), &set) == 0, "sched_setaffinity");
}

static void open_uffd(int nonblocking, unsigned long bytes)
{
	struct uffdio_api api = { .api = UFFD_API, .features = is_move ? UFFD_FEATURE_MOVE : 0 };
	uffd = syscall(SYS_userfaultfd, O_CLOEXEC | (nonblocking ? O_NONBLOCK : 0));
	must(uffd >= 0, "userfaultfd");
	must(ioctl(uffd, UFFDIO_API, &api) == 0, "UFFDIO_API");
	to = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	from = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	must(to != MAP_FAILED && from != MAP_FAILED, "mmap");
	madvise(to, bytes, MADV_NOHUGEPAGE);
	madvise(from, bytes, MADV_NOHUGEPAGE);
	struct uffdio_register reg = { .range = { (uintptr_t)to, bytes }, .mode = UFFDIO_REGISTER_MODE_MISSING };
	must(ioctl(uffd, UFFDIO_REGISTER, &reg) == 0, "UFFDIO_REGISTER");
}

static void close_uffd(unsigned long bytes)
{
	close(uffd);
	munmap(to, bytes);
	munmap(from, bytes);
}

static void place(unsigned long offset, unsigned long length)
{
	if (is_move) {
		struct uffdio_move move = { .dst = (uintptr_t)to + offset, .src = (uintptr_t)from + offset, .len = length };
		must(ioctl(uffd, UFFDIO_MOVE, &move) == 0, "UFFDIO_MOVE");
	} else {
		struct uffdio_copy copy = { .dst = (uintptr_t)to + offset, .src = (uintptr_t)from + offset, .len = length };
		must(ioctl(uffd, UFFDIO_COPY, &copy) == 0, "UFFDIO_COPY");
	}
}

static void renew(unsigned long bytes)
{
	must(madvise(to, bytes, MADV_DONTNEED) == 0, "MADV_DONTNEED");
	must(madvise(from, bytes, MADV_POPULATE_WRITE) == 0, "MADV_POPULATE_WRITE");
}

static sem_t asked, done;
static int touching_cpu;
static double touching_ns;

static void *touch(void *unused)
{
	for (;;) {
		sem_wait(&asked);
		pin(touching_cpu);
		double start = now_ns();
		for (unsigned long i = 0; i < FAULTS; i++)
			*(volatile uint32_t *)(to + i * PAGE) = i;
		touching_ns = (now_ns() - start) / FAULTS;
		sem_post(&done);
	}
	return unused;
}

static int ascending(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

static double median(double *values, int n)
{
	qsort(values, n, sizeof(*values), ascending);
	return n % 2 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

static double fault(int mine, int its)
{
	double values[FAULT_ROUNDS];
	unsigned long bytes = FAULTS * PAGE;
	pin(mine);
	touching_cpu = its;
	open_uffd(0, bytes);
	for (int round = 0; round < FAULT_ROUNDS; round++) {
		renew(bytes);
		sem_post(&asked);
		for (unsigned long served = 0; served < FAULTS;) {
			struct uffd_msg messages[16];
			long got = read(uffd, messages, sizeof(messages));
			must(got > 0, "read");
			for (unsigned long i = 0; i < got / sizeof(*messages); i++, served++)
				place(messages[i].arg.pagefault.address - (uintptr_t)to, PAGE);
		}
		sem_wait(&done);
		values[round] = touching_ns;
	}
	close_uffd(bytes);
	return median(values, FAULT_ROUNDS);
}

static double bulk(unsigned long pages)
{
	double values[BULK_ROUNDS];
	open_uffd(1, BULK_BYTES);
	for (int round = 0; round < BULK_ROUNDS; round++) {
		renew(BULK_BYTES);
		double start = now_ns();
		for (unsigned long offset = 0; offset < BULK_BYTES; offset += pages * PAGE)
			place(offset, pages * PAGE);
		values[round] = (now_ns() - start) / (BULK_BYTES / PAGE);
	}
	close_uffd(BULK_BYTES);
	return median(values, BULK_ROUNDS);
}

int main(int argc, char **argv)
{
	must(argc == 3, "usage: compare CPU CPU");
	int first = atoi(argv[1]), second = atoi(argv[2]);
	const unsigned long batches[] = { 1, 16, 64 };
	pthread_t thread;
	sem_init(&asked, 0, 0);
	sem_init(&done, 0, 0);
	must(pthread_create(&thread, NULL, touch, NULL) == 0, "pthread_create");
	for (is_move = 0; is_move < 2; is_move++) {
		const char *how = is_move ? "move" : "copy";
		printf("fault-same-cpu-%s %.1f\n", how, fault(first, first));
		printf("fault-other-cpu-%s %.1f\n", how, fault(first, second));
		for (int i = 0; i < 3; i++)
			printf("bulk-%lu-%s %.1f\n", batches[i], how, bulk(batches[i]));
	}
	return 0;
}
