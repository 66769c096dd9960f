"""The generation engine, a child process that speaks JSON lines."""
