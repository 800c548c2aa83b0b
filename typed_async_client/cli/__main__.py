"""``python -m typed_async_client.cli``: the command where its script is not on the path."""

from typed_async_client.cli import main

raise SystemExit(main())
