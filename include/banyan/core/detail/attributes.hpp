#pragma once

// How code is laid out, where a function of a few instructions must not become a call and a rare one must not be
// inlined. Attributes cannot be named otherwise.
#if defined(__GNUC__)
#define BANYAN_ALWAYS_INLINE [[gnu::always_inline]] inline
#define BANYAN_COLD [[gnu::noinline, gnu::cold]]
#else
#define BANYAN_ALWAYS_INLINE inline
#define BANYAN_COLD
#endif
