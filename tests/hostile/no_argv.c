/* Executes a program with no argument at all, not even a name. */
#include <unistd.h>

int main(int argc, char **argv)
{
	char *none[] = { NULL };

	if (argc == 2)
		execve(argv[1], none, none);
	return 127;
}
