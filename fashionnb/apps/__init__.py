"""Programs built on the package: the web demo, the collector of images, the analysis of a folder of photos."""
