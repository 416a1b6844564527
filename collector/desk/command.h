/* desk: starts the commands; what streams hold is never looked at here. */
/* A command on this machine, in a session of its own: a terminal's ^C does not reach it, and it cannot ask for a password. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct command {
	pid_t pid;        /* 0: there is none; its group has the same number */
	int in, out, err; /* our ends of its pipes; nobody else has in */
};

/* Starts it. out and err do not block. Returns 0, or -1 with errno. One that cannot be executed says so on its stderr. */
int command_start(struct command *command, char *const *words);

/* Runs one to its end, without input. What it writes to stdout is put into out and ended with a NUL. Returns its length, or -1 after an ERROR line. */
ssize_t command_ask(char *const *words, char *out, size_t size);

/* The end of its input. */
void command_end_input(struct command *command);

/* It has ended. Its number stays its own, for signals to its group, until it is reaped. */
bool command_has_ended(const struct command *command);
/* Returns its status, as waitpid() gives it. */
int command_reap(struct command *command);

/* Sends a signal to it and to all that it has started, unless they left its group. */
void command_signal(const struct command *command, int number);
