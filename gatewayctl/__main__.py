"""``python -m gatewayctl``."""

from gatewayctl.cli.main import main

if __name__ == "__main__":
    main()
