//! Byte patches in the original text, never a re-print.
