"""Read datasets: the three types that hold data (`catalogue`), one module for each format, images.

`fashionnb.datasets.load` opens a dataset by its name. `registry` lists the datasets and finds,
downloads and checks them.
"""
