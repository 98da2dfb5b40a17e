"""Crystal structures of a public database, opened one by one: `benchmarks/io/report/minerals.md`."""
