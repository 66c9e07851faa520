"""Files, as every room above needs them: durable writes, temporary files, kinds of disks, memory."""
