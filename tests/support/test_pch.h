// What nearly every test needs, compiled once.
#pragma once
#include <ATen/ATen.h>

#include <filesystem>
#include <string>
#include <vector>

#include "support/catch.h"
