"""kgpt-workbench: runs, loss curves and generation in the terminal."""
