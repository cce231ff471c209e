"""Where shards run: `local` processes, or any `concurrent.futures.Executor`."""
