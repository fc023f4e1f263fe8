#pragma once

#include <banyan/core/detail/wide_product.hpp>  // multiply_high
