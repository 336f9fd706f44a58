# What is built beside the library, the program and their tests; and what `cmake --install` puts where:
#   bin/r1  lib/libr1.a  include/r1/*.h  share/r1/recipes/  lib/cmake/r1/  lib/pkgconfig/r1.pc
include(CMakePackageConfigHelpers)

if(R1_BENCH)
  include(bench)
endif()
if(R1_FUZZ)
  include(fuzz)
endif()
if(R1_EXAMPLES AND EXISTS ${CMAKE_CURRENT_SOURCE_DIR}/include/r1/engine.h)
  # In this tree the examples' find_package(r1) finds the target that is being built.
  add_library(r1::r1 ALIAS r1)
  add_subdirectory(examples/generate)
endif()

if(TARGET r1_cli)
  install(TARGETS r1_cli RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endif()
install(TARGETS r1 EXPORT r1Targets ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(DIRECTORY include/r1 DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.h")
install(DIRECTORY recipes DESTINATION ${CMAKE_INSTALL_DATADIR}/r1)

set(R1_CMAKE_DIR ${CMAKE_INSTALL_LIBDIR}/cmake/r1)
install(EXPORT r1Targets NAMESPACE r1:: DESTINATION ${R1_CMAKE_DIR})
configure_package_config_file(${CMAKE_CURRENT_SOURCE_DIR}/cmake/r1Config.cmake.in ${CMAKE_CURRENT_BINARY_DIR}/r1Config.cmake
                              INSTALL_DESTINATION ${R1_CMAKE_DIR})
write_basic_package_version_file(${CMAKE_CURRENT_BINARY_DIR}/r1ConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/r1Config.cmake ${CMAKE_CURRENT_BINARY_DIR}/r1ConfigVersion.cmake DESTINATION ${R1_CMAKE_DIR})

# The .pc file finds its prefix from its own place, so that an installed tree can be moved.
file(RELATIVE_PATH R1_PC_PREFIX /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
configure_file(${CMAKE_CURRENT_SOURCE_DIR}/cmake/r1.pc.in ${CMAKE_CURRENT_BINARY_DIR}/r1.pc @ONLY)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/r1.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

if(R1_TESTS)
  # Every header compiles alone; an installed tree can be built against, by CMake and by pkg-config.
  add_test(NAME headers COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/tools/check_headers.sh 2)
  set_tests_properties(headers PROPERTIES ENVIRONMENT "CXX=${CMAKE_CXX_COMPILER}")
  if(TARGET r1_cli)
    include(resume_tests)
    include(stages_tests)
    add_test(NAME install COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/tests/install/install_test.sh ${CMAKE_CURRENT_BINARY_DIR})
    set_tests_properties(install PROPERTIES ENVIRONMENT "CXX=${CMAKE_CXX_COMPILER}")
    add_test(NAME e2e COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/tests/e2e/run.sh $<TARGET_FILE:r1_cli>)
    add_test(NAME pipeline COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/tests/e2e/pipeline.sh $<TARGET_FILE:r1_cli>)
    set_tests_properties(install e2e pipeline PROPERTIES LABELS slow TIMEOUT 1200)
  endif()
endif()
