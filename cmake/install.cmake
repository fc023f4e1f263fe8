# Headers, a CMake package and a pkg-config file, all relocatable: they find the headers relative to themselves.

include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(package_dir ${CMAKE_INSTALL_DATADIR}/cmake/banyan)

install(TARGETS banyan EXPORT banyan_targets FILE_SET HEADERS)
install(EXPORT banyan_targets NAMESPACE banyan:: DESTINATION ${package_dir} FILE banyan-targets.cmake)

# While the major version is 0, a new minor version may break callers. Headers fit any architecture.
write_basic_package_version_file(banyan-config-version.cmake COMPATIBILITY SameMinorVersion ARCH_INDEPENDENT)
install(FILES cmake/banyan-config.cmake ${CMAKE_CURRENT_BINARY_DIR}/banyan-config-version.cmake
        DESTINATION ${package_dir})

file(RELATIVE_PATH prefix_from_pc /${CMAKE_INSTALL_DATADIR}/pkgconfig /)
configure_file(cmake/banyan.pc.in banyan.pc @ONLY)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/banyan.pc DESTINATION ${CMAKE_INSTALL_DATADIR}/pkgconfig)
install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/banyan)
