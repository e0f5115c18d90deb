# SPDX-License-Identifier: MIT OR GPL-2.0-only
#
# find_package(vmi) gives, for each architecture ARCH that is installed (i386, x86_64) and each backend NAME,
#
#   vmi::NAME-ARCH     its library and the headers
#
# for kernels that bind themselves to one of them when they start
#
#   vmi::any-ARCH      the binder with images of all, and the headers
#
# and
#
#   vmi::kernel-ARCH   how a kernel is compiled and linked
#
# COMPONENTS names what must be there, NAME-ARCH, or NAME on any architecture.

set(_vmi_there)
file(GLOB _vmi_files "${CMAKE_CURRENT_LIST_DIR}/vmi-arch-*.cmake")
foreach(_vmi_file IN LISTS _vmi_files)
    include("${_vmi_file}")
endforeach()
string(REPLACE ";" " " _vmi_names "${_vmi_there}")
foreach(_vmi_wanted IN LISTS vmi_FIND_COMPONENTS)
    if(vmi_FIND_REQUIRED_${_vmi_wanted} AND NOT vmi_${_vmi_wanted}_FOUND)
        set(vmi_FOUND FALSE)
        set(vmi_NOT_FOUND_MESSAGE "there is no backend ${_vmi_wanted}; there are: ${_vmi_names}")
    endif()
endforeach()
