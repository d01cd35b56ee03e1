/* What Rust's library cannot do without unsafe code: to map files, and to lock parts of them. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static int fail(const char *what)
{
	printf("%s: %d\n", what, errno);
	fflush(stdout);
	return 1;
}

/* lock FILE KIND FIRST LENGTH WAITS: says "held" or the error, and holds it until its input ends. */
static int lock(char **words)
{
	int file = open(words[0], O_RDWR);
	struct flock lock = { .l_type = words[1][0] == 'r' ? F_RDLCK : F_WRLCK, .l_whence = SEEK_SET,
			      .l_start = atol(words[2]), .l_len = atol(words[3]) };
	char byte;

	if (file < 0)
		return fail("open");
	if (!strcmp(words[1], "flock") ? flock(file, LOCK_EX | (atoi(words[4]) ? 0 : LOCK_NB))
				       : fcntl(file, atoi(words[4]) ? F_SETLKW : F_SETLK, &lock))
		return fail("lock");
	puts("held");
	fflush(stdout);
	/* "c" opens and closes the file, "u" unlocks the half behind, "s" says so. */
	while (read(0, &byte, 1) == 1) {
		if (byte == 'c')
			close(open(words[0], O_RDONLY));
		if (byte == 'u') {
			lock.l_type = F_UNLCK;
			lock.l_start += lock.l_len / 2;
			lock.l_len -= lock.l_len / 2;
			fcntl(file, F_SETLK, &lock);
		}
		puts("ok");
		fflush(stdout);
	}
	return 0;
}

/* test FILE: says who holds what stands against the whole of it. */
static int test(char **words)
{
	int file = open(words[0], O_RDWR);
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

	if (fcntl(file, F_GETLK, &lock))
		return fail("test");
	if (lock.l_type == F_UNLCK)
		puts("free");
	else
		printf("%s %ld %ld %d\n", lock.l_type == F_RDLCK ? "read" : "write", (long)lock.l_start,
		       (long)lock.l_len, (int)lock.l_pid);
	return 0;
}

/* map FILE: writes through a map, through the file, and looks from each at the other. */
static int map(char **words)
{
	const size_t length = 3 * 65536 + 100;
	int file = open(words[0], O_RDWR | O_CREAT, 0644);
	char *bytes, *other, buffer[100];
	size_t at;

	if (file < 0 || ftruncate(file, length))
		return fail("open");
	bytes = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	other = mmap(NULL, length, PROT_READ, MAP_SHARED, open(words[0], O_RDONLY), 0);
	if (bytes == MAP_FAILED || other == MAP_FAILED)
		return fail("map");
	for (at = 0; at < length; at += 1000)
		bytes[at] = (char)(at / 1000);
	for (at = 0; at < length; at += 1000)
		if (other[at] != (char)(at / 1000) || pread(file, buffer, 1, at) != 1 || buffer[0] != other[at])
			return fail("what a map has is not in the file");
	if (pwrite(file, "written", 7, 65530) != 7 || memcmp(other + 65530, "written", 7))
		return fail("what was written is not in a map");
	memcpy(bytes + 65532, "MAPPED", 6);
	if (pread(file, buffer, 9, 65530) != 9 || memcmp(buffer, "wrMAPPEDn", 8))
		return fail("what was mapped over is not in the file");
	if (msync(bytes, length, MS_SYNC) || fsync(file))
		return fail("sync");
	/* Cut and grown again, what was there is gone. */
	if (ftruncate(file, 100) || ftruncate(file, length) || other[1000] || other[65530])
		return fail("what was cut off is back");
	memcpy(bytes + 2 * 65536, "kept", 4);
	if (munmap(bytes, length) || close(file))
		return fail("close");
	file = open(words[0], O_RDONLY);
	if (pread(file, buffer, 4, 2 * 65536) != 4 || memcmp(buffer, "kept", 4))
		return fail("what was mapped is lost");
	puts("good");
	return 0;
}

/* dirty FILE: writes through a map, says so, and waits. */
static int dirty(char **words)
{
	int file = open(words[0], O_RDWR | O_CREAT, 0644);
	char *bytes, byte;

	if (file < 0 || ftruncate(file, 1 << 20))
		return fail("open");
	bytes = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	if (bytes == MAP_FAILED)
		return fail("map");
	memset(bytes, 'm', 1 << 20);
	puts("dirty");
	fflush(stdout);
	return read(0, &byte, 1) < 0;
}

/* drop FILE UID: opens a file as root, becomes another user, and goes on; the file's mode is 04700. */
static int drop(char **words)
{
	struct stat found;
	int file = open(words[0], O_RDWR);
	char byte;

	if (file < 0 || setgid(atoi(words[1])) || setuid(atoi(words[1])))
		return fail("open");
	if (open(words[0], O_RDONLY) >= 0 || errno != EACCES)
		return fail("it could be opened again");
	if (pread(file, &byte, 1, 0) != 1 || pwrite(file, "x", 1, 0) != 1)
		return fail("what is open is not good any more");
	if (fstat(file, &found) || (found.st_mode & 07777) != 0700)
		return fail("the bit that sets the user has stayed");
	if (ftruncate(file, 10) || fsync(file) || fstat(file, &found) || found.st_size != 10)
		return fail("what is open cannot be cut");
	puts("good");
	return 0;
}

int main(int count, char **words)
{
	if (count > 2 && !strcmp(words[1], "test"))
		return test(words + 2);
	if (count > 2 && !strcmp(words[1], "map"))
		return map(words + 2);
	if (count > 2 && !strcmp(words[1], "dirty"))
		return dirty(words + 2);
	if (count > 3 && !strcmp(words[1], "drop"))
		return drop(words + 2);
	if (count > 6 && !strcmp(words[1], "lock"))
		return lock(words + 2);
	return 2;
}
