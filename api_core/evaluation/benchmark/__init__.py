"""The benchmark on drawn scenes: do maps lie on what they were asked for, and do prompted pictures help to answer?"""
