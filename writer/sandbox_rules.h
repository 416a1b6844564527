/* writer: no privilege; from setup/ through the sandbox's door to capture/. */
/* What the writer may call once it is to hold a packet fd. */
#pragma once

/* Closes the writer's sandbox. Returns 0, or -1 with errno. */
int enter_writer_sandbox(void);

