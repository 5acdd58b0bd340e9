"""The commands of `serin`, a module for each of the things they are about; what they need lies beside this folder."""
