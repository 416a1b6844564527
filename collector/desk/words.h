/* desk: starts the commands; what streams hold is never looked at here. */
/* Command lines as words: made of templates without any shell, and quoted for the shell at the other end. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define WORDS_MOST 96
#define WORDS_BYTES 65536

/* A command line for execvp(): ends with a NULL. The words stand in bytes, or are somebody else's. */
struct words {
	char *word[WORDS_MOST + 1];
	size_t count;
	char bytes[WORDS_BYTES];
	size_t used;
};

/* What stands for {}, {index}, {process}, {interface}, {words} and {command}. */
struct words_values {
	const char *place, *index, *process, *interface;
	const struct words *remote;
};

/* Each returns 0, or -1 if there is no room. */
int words_add(struct words *words, const char *word);
/* A flag and its value; neither, if that is NULL or "". */
int words_add_pair(struct words *words, const char *flag, const char *value);
/* The first word of text is this program, whatever folder stands before its name. */
bool words_begin_with_program(const char *text, const char *name);
/* Splits text at blanks. */
int words_add_split(struct words *words, const char *text);
/* All words as one, each quoted for a POSIX shell where that is needed. */
int words_quote(const struct words *words, char *out, size_t size);
/* The template has a name in braces that nothing stands for. */
bool words_names_unknown(const char *template);
/* The template's words with the values put in: {words} alone becomes many. */
int words_expand(struct words *words, const char *template, const struct words_values *values);
