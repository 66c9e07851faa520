"""Files, as every room above needs them: durable writes, locks, temporaries, mounts, memory."""
