"""What is seen in a browser: JupyterLab in Chromium, driven by Playwright."""
