"""``python -m imps_multi`` is ``imps-multi``."""

from imps_multi.cli.main import main

if __name__ == "__main__":
    main()
