"""Programs built on the package: the web demo, the image collector, the analysis of photos."""
