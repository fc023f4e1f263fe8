# What the project's own programs (tests, benchmarks, examples, lab) share. Users of the library never come here.

if(PROJECT_IS_TOP_LEVEL AND NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
  set(CMAKE_BUILD_TYPE RelWithDebInfo)
endif()

# Linked privately by every program of the project: the library, and the warnings it promises to be free of.
add_library(banyan_development INTERFACE)
target_link_libraries(banyan_development INTERFACE banyan::banyan)
target_compile_options(banyan_development INTERFACE -Wall -Wextra -Wpedantic -Wconversion -Wshadow)

# banyan_require(NAME TARGET REPOSITORY TAG [MINIMUM]): the system's package where there is one, else its source.
# A macro, so that NAME_FOUND and NAME_VERSION reach the caller.
macro(banyan_require name target repository tag)
  find_package(${name} ${ARGN} QUIET)
  if(NOT TARGET ${target})
    message(STATUS "${name} ${ARGN} not found on this system: fetching ${tag} from ${repository}")
    include(FetchContent)
    FetchContent_Declare(${name} GIT_REPOSITORY ${repository} GIT_TAG ${tag} GIT_SHALLOW TRUE)
    FetchContent_MakeAvailable(${name})
  endif()
endmacro()
