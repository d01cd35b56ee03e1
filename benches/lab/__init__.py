"""What the sections of tools/bench share: places to measure in, the daemon, the machine, and where results go."""
