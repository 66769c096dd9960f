"""Code for child processes that measure their own memory."""

PEAK = """
def peak():
    # The largest resident memory of this process in KiB. `ru_maxrss` would begin at that of the parent.
    try:
        with open("/proc/self/status") as file:
            return next(int(line.split()[1]) for line in file if line.startswith("VmHWM"))
    except OSError:
        import resource, sys
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most // 1024 if sys.platform == "darwin" else most
"""
