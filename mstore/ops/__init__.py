"""One verb a module: functions that return frozen results, and print nothing."""
