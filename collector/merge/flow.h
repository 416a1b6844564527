/* merge: inside the sandbox; here is what the remote machines sent. */
/* Packets on their way from a stream through the merge to the output. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "merger.h"

/* Something of this stream came: a packet of it may wait in the merge now. */
void flow_look(struct merger *merger, size_t index);

/* The same for those that could not be looked at while the output took nothing. */
void flow_look_again(struct merger *merger);

/* Puts what is due into the output, in the order of time. Returns whether more could go out at once. */
bool flow_emit(struct merger *merger);

/* How a stream ended is told when nothing of it is left, and its messages have come. */
void flow_end_streams(struct merger *merger);
